"""What is done on a host over SSH.  These files are sent along with each call, and are nowhere installed.

They need Python 3.11 and nothing else.  Where the login is root, whatever concerns the agent's folder is done as the
user that the agent runs as: root writes to, deletes from and executes nothing in a folder that another user could have
changed.
"""
