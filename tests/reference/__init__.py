"""The API's description: complete, true, and the page that shows it."""
