"""How fast kdrun is beside loops as people write them; README.md has the results."""
