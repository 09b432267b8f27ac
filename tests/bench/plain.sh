#!/bin/sh
# The demo's host by a plain shell script that does the bare minimum: what the benchmark measures Slipway against.
# Sources have been unpacked below /srv/sources. It has no checks, no sandbox, and drops requests at every deploy.
set -eu
export DEBIAN_FRONTEND=noninteractive UV_SYSTEM_CERTS=1

# Until the app answers as it does when it is well.
answers() {
  for _ in $(seq 600); do
    curl -fso /dev/null -H 'X-Forwarded-Proto: https' --unix-socket "/run/$1/http" "http://$1.localhost/healthz" && return
    sleep 0.05
  done
  exit 1
}

# serve APP DIRECTORY
serve() {
  ln -sfn "/srv/$1/instance" "$2/instance"
  ln -sfn "$2" "/srv/$1/current"
  systemctl restart "$1"
  answers "$1"
}

# migrate APP DIRECTORY: a copy of the database, then what its code needs there
migrate() {
  ln -sfn "/srv/$1/instance" "$2/instance"
  test ! -e "/srv/$1/instance/$1.db" || python3 -c "import sqlite3
with sqlite3.connect('/srv/$1/instance/$1.db') as now, sqlite3.connect('/srv/$1/before.db') as copy: now.backup(copy)"
  cd "$2"
  runuser -u "$1" -- env "APP_SETTINGS=/srv/$1/settings.json" "/srv/$1/venv/bin/flask" --app wsgi db upgrade >/dev/null 2>&1
}

# app NAME DIRECTORY WSGI
app() {
  id "$1" >/dev/null 2>&1 || useradd --system --home-dir "/srv/$1" --groups www-data "$1"
  mkdir -p "/srv/$1/instance"
  chown "$1" "/srv/$1/instance"
  test -x "/srv/$1/venv/bin/python" || python3 -m venv --without-pip "/srv/$1/venv"
  /opt/uv/bin/uv pip sync -q --require-hashes --compile-bytecode --python "/srv/$1/venv/bin/python" "$2/requirements.txt"
  echo '{"SECRET_KEY": "5f2c7d1be9a84036b1d7c0f3a6e2948d5f2c7d1be9a84036"}' >"/srv/$1/settings.json"
  cat >"/etc/systemd/system/$1.service" <<UNIT
[Unit]
StartLimitIntervalSec=0
[Service]
Type=notify
User=$1
Group=www-data
RuntimeDirectory=$1
WorkingDirectory=/srv/$1/current
Environment=APP_SETTINGS=/srv/$1/settings.json RELEASE_ID=plain
ExecStart=/srv/$1/venv/bin/gunicorn --workers 2 --threads 3 --no-control-socket --bind unix:/run/$1/http $3
[Install]
WantedBy=multi-user.target
UNIT
  cat >"/etc/nginx/conf.d/$1.conf" <<SITE
server {
    listen 443 ssl;
    server_name $1.localhost;
    ssl_certificate /etc/ssl/plain.pem;
    ssl_certificate_key /etc/ssl/plain.key;
    location / {
        proxy_pass http://unix:/run/$1/http;
        proxy_set_header Host \$host;
        proxy_set_header X-Forwarded-Proto https;
    }
}
SITE
  systemctl daemon-reload
  systemctl -q enable "$1"
}

# deploy APP DIRECTORY, with or without data
deploy() {
  test "$1" != guestbook || migrate "$@"
  serve "$@"
}

# site PACKAGE…
site() {
  apt-get -qq install --no-install-recommends -o=Dpkg::Use-Pty=0 curl openssl "$@" >/dev/null
  test -x /opt/uv/bin/uv || {
    python3 -m venv /opt/uv
    /opt/uv/bin/pip -q --disable-pip-version-check install --require-hashes -r /srv/sources/roles/python/files/uv.txt
  }
  test -e /etc/ssl/plain.key || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
    -subj /CN=localhost -addext subjectAltName=DNS:guestbook.localhost,DNS:hello.localhost \
    -keyout /etc/ssl/plain.key -out /etc/ssl/plain.pem 2>/dev/null
  app guestbook /srv/sources/app wsgi:app
  app hello /srv/sources/molecule/shared/hello hello:app
  migrate guestbook /srv/sources/app
  serve guestbook /srv/sources/app
  serve hello /srv/sources/molecule/shared/hello
  systemctl reload nginx
}

"$@"
