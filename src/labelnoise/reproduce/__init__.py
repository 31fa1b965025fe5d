"""`make reproduce`, its report, and the audit of the records."""
