"""The book's machinery: cards, claims, records, runs, tables, the scorecard, the command and the Sphinx extension."""
