"""The factors of the growth law, one a file, each readable as its equation; `growth` composes them."""
