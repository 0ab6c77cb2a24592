"""Detection of lost events, and the rules that decide that a task is lost."""
