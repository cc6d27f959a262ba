"""Results: AMC's CSV kept as Parquet, one file per segment, and read back as one table."""
