"""Herald's server: pushes each change of a task, worker or queue to its subscribers."""
