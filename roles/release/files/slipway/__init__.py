"""Slipway's release transaction: the program that lives on the host.

Standard library only, because it has to work before any virtual environment exists and go on working when one is
broken. Ansible, systemd at boot and an operator with nothing but SSH all call this same code.
"""
