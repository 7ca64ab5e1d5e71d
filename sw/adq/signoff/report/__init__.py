"""The report: what was verified and measured, gathered from the files that commands left behind."""
