"""The accounts room: users, their passwords, their sessions, the limits of their logins."""

NAME, PASSWORD = "alice", "correct horse battery"
