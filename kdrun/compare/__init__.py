"""Reading run folders: tables, statistics, plots. Imports neither torch nor the engine."""
