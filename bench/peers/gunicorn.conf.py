"""The same processes, threads and keep-alive as our own gunicorn.conf.py, so that only the applications differ."""

worker_class = "gthread"
workers = 2
threads = 8
keepalive = 30
accesslog = None
control_socket_disable = True
