"""What attackers try: each risk of OWASP's list for APIs, broken HTTP, slow clients, forged sessions, guessed passwords."""
