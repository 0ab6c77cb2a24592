"""The process: logs, threads, memory, files, subprocesses."""
