"""Starting tasks, groups and chains."""
