"""From records to judgements: what is claimed, by which rule, and what was found."""
