"""Pure decisions: given what was observed and what time it is, what follows. No I/O, no colour."""
