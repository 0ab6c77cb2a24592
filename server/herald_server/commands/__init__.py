"""The commands of `herald`, one file each. Imported only when they are run."""
