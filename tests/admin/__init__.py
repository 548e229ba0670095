"""The panel, seen through HTTP: who comes in, what each page shows, what each form changes."""
