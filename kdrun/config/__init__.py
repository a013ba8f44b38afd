"""From the words of a command to a resolved config tree."""
