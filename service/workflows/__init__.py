"""What reports run on: workflows (SQL and its parameters) and AMC instances."""
