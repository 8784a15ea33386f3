"""From what people have on disk to honest splits and fast batches."""
