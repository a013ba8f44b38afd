"""What stands between the screen and the rest: the command, its help, a file for each verb."""
