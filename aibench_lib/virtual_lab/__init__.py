"""virtual_lab"""
