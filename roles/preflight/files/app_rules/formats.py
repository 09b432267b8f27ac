"""Every format that the schema names, and the checks of keys that have to go together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app_rules import (
    access,
    addresses,
    backups,
    certificates,
    databases,
    http,
    machine,
    places,
    redis,
    sandbox,
    settings,
    sources,
    words,
)
from app_rules.described import Problems

FORMATS: dict[str, Callable[[str, Any], Problems]] = {
    "text": words.text,
    "inside": words.inside,
    "wsgi": words.wsgi,
    "domain": addresses.domain,
    "url_path": addresses.url_path,
    "url_prefix": addresses.url_prefix,
    "command": words.command,
    "variable": words.variable,
    "env": settings.env,
    "settings": settings.settings,
    "source": sources.source,
    "git_url": sources.git_url,
    "git_version": sources.git_version,
    "private_key": sources.private_key,
    "host_key": sources.host_key,
    "pin": sources.pin,
    "interpreter": words.interpreter,
    "calendar": words.calendar,
    "pem": certificates.pem,
    "name": words.name,
    "size": http.size,
    "rate": http.rate,
    "headers": http.headers,
    "snippet": http.snippet,
    "network": access.network,
    "reachable": sandbox.reachable,
    "memory": sandbox.memory,
    "redis_memory": redis.memory,
    "user": access.user,
    "password_hash": access.password_hash,
    "extension": databases.extension,
    "rule": databases.rule,
    "repository": backups.repository,
    "database_host": databases.host,
    "database_password": databases.password,
    "directory": words.directory,
    "package": words.package,
    "account": words.account,
    "version": words.version,
    "zone": words.zone,
    "machine_name": machine.machine_name,
    "timezone": machine.timezone,
    "locale": machine.locale,
    "server": machine.server,
    "time_of_day": machine.time_of_day,
    "mail": machine.mail,
    "disk_size": machine.disk_size,
    "option": machine.option,
    "module": machine.module,
    "unit": machine.unit,
    "line": machine.line,
}

# Each is given an app whose keys are right by themselves.
TOGETHER: list[Callable[[str, dict[str, Any]], Problems]] = [
    settings.settings_file,
    places.places,
    certificates.tls,
    sandbox.together,
    databases.together,
    redis.together,
]
