"""The command line: the entry point, its help, and a file for each verb."""
