"""The format of a place for backups."""

from __future__ import annotations

import re

from app_rules.described import Problems

# What restic 0.14 knows and Debian can reach without more than ssh or https.
_DIRECTORY = re.compile(r"/[A-Za-z0-9._/-]+")
_SFTP = re.compile(r"sftp://[A-Za-z0-9._-]+@[A-Za-z0-9.-]+(:[0-9]{1,5})?/[A-Za-z0-9._/-]+")
_ELSEWHERE = "where restic keeps one elsewhere: sftp://user@host:22//directory, s3:https://host/bucket"
_OTHER = re.compile(r"(s3:https?://|rest:https?://|b2:|azure:|gs:)[A-Za-z0-9._~:/@%-]+")


def repository(key: str, value: str) -> Problems:
    if ".." in value or not any(form.fullmatch(value) for form in (_DIRECTORY, _SFTP, _OTHER)):
        yield key, f"must be a directory on the host, such as /var/backups/slipway, or {_ELSEWHERE}"
    elif value.startswith("rest:") and re.search(r"//[^/]*:[^/]*@", value):
        yield key, "holds a password; put RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD into vault_backup_credentials"
