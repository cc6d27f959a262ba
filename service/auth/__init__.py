"""Who calls: every route asks here, and nowhere else, whose team and person a request is."""
