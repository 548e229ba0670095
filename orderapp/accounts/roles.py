"""What users may do: each role may do all that the ones before it may."""

VIEWER = "viewer"
OPERATOR = "operator"
SUPERUSER = "superuser"

# Lowest first.
ROLES = (VIEWER, OPERATOR, SUPERUSER)


def reaches(role: str, needed: str) -> bool:
    """Tell whether a role includes another one; a role nobody knows includes nothing."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(needed)
