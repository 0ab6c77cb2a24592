"""Search: the tasks of a query, as lists, in another order, as an export."""
