"""Secrets that break whatever quotes, splits, expands, trims or guesses. Each holds MARK, by which a leak is found."""

MARK = "q7Zk3vXw"
SECRETS = [
    f"{MARK}\nsecond line\n",
    f"{MARK}\r\n\rcarriage",
    f'{MARK}\'"`\'\'"""',
    f"{MARK}$HOME ${{PATH}} $(id) `id` $$",
    f"{MARK}%h %i %% 100%",
    f"{MARK}{{{{ 7 * 7 }}}} {{% raw %}} {{# no #}}",
    f"{{{{ lookup('pipe', 'id') }}}}{MARK}",
    f"{MARK}\\n\\ trailing\\",
    f"-rf --{MARK}",
    f"  {MARK}\t ",
    f"#{MARK}; x=y & z | w > /dev/null",
    f'{{"{MARK}": [1, true, null]}}',
    f"!unsafe {MARK}",
    f"{MARK}\x01\x02\x07\x08\x1b[31m\x1f\x7f",
    f"{MARK}\x85\u2028\u2029\u200b\ufeff",
    f"{MARK} Grüße, мир, 世界 \U0001f510 e\u0301",
    "07318264950" * 4,
    "73182649501" * 4,
]
DIGITS = SECRETS[-2:]
