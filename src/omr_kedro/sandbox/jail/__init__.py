"""Code of the process in which a stranger's code runs, and of the process that forks it.

The zygote imports this package by its folder, under the name `jail`, and nothing else of the project: so it imports
the standard library alone, and names its own modules relatively. The driver shares `frames`, `orders` and `settings`.
"""
