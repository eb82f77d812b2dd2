"""Worker processes: warm, watched, and replaced when they die or hang."""
