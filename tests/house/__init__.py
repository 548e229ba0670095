"""The rules of the house (docs: architecture), each with a test on this repository and a test on planted breaches."""
