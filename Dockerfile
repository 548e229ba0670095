# One image for every process; compose gives each its command.
# The first stage has pip and compilers' worth of tools, the second only what runs.
FROM python:3.13-slim AS build
# requirements-otel.txt is the same with what sends traces.
ARG REQUIREMENTS=requirements.txt
COPY requirements*.txt ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r $REQUIREMENTS

FROM python:3.13-slim
# A fixed uid: volumes and policies can name it. No shell, no home: nobody logs in here.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin orderapp
COPY --from=build /venv /venv
WORKDIR /app
COPY config.py config_kinds.py heartbeat.py tally.py wsgi.py celery_worker.py gunicorn.conf.py ./
COPY migrations migrations
COPY orderapp orderapp
# In a container loopback would reach nobody; compose decides which address of the host is published.
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 WEB_HOST=0.0.0.0 HOME=/tmp
USER 10001
EXPOSE 8000
# For web; compose gives the other processes their own. In Python: the image has no curl.
HEALTHCHECK --interval=5s --timeout=4s --start-period=20s --retries=6 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '8000') + '/health/ready/', timeout=3)"]
CMD ["gunicorn", "wsgi:app"]
