#!/bin/sh
# What the edge is measured against, beside Slipway's own nginx on its host: one with next to no configuration, with
# Gunicorn behind it as its documentation starts it. Run on the test VPS; everything listens on the loopback address.
set -eu
export DEBIAN_FRONTEND=noninteractive
at=/srv/guestbook/current

prepare() {
  apt-get -qq install --no-install-recommends -o=Dpkg::Use-Pty=0 wrk >/dev/null
  grep -q guestbook.localhost /etc/hosts || echo '127.0.0.1 guestbook.localhost' >>/etc/hosts
  cat >/etc/nginx/minimal.conf <<MINIMAL
user www-data;
# The default is one, which would leave half of this machine idle.
worker_processes auto;
pid /run/nginx-minimal.pid;
events {}
http {
    include mime.types;
    access_log /var/log/nginx/minimal.log;
    gzip on;
    gzip_types text/css;
    server {
        listen 127.0.0.1:9443 ssl;
        ssl_certificate /etc/ssl/slipway/guestbook/fullchain.pem;
        ssl_certificate_key /etc/ssl/slipway/guestbook/privkey.pem;
        location /static/ { alias $at/static/; }
        location / {
            proxy_pass http://127.0.0.1:8000;
            proxy_set_header Host \$host;
            proxy_set_header X-Forwarded-Proto https;
        }
    }
}
MINIMAL
  systemd-run -q --unit=minimal nginx -c /etc/nginx/minimal.conf -g "daemon off;"
  systemd-run -q --unit=textbook --uid=guestbook --working-directory="$at/src" -p EnvironmentFile="$at/env" \
    "$(realpath $at/venv)/bin/gunicorn" --workers 4 --bind 127.0.0.1:8000 --no-control-socket wsgi:app
}

# load PORT PATH HEADER SECONDS
load() { wrk --latency -t1 -c16 -d"$4" -H "$3" "https://guestbook.localhost:$1$2"; }

"$@"
