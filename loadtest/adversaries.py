"""Those who have no business here: guessers of typed codes, and intruders."""

from __future__ import annotations

import http.client
import itertools
import json
import secrets
from typing import Final
from urllib.parse import urlsplit

from locust import constant_throughput, task

from loadtest import attacks
from loadtest.steps import HTTP, step
from loadtest.users import Visitor
from loadtest.visit import Address, StepError

GUESSES_PER_S: Final = 20.0  # of one guesser; it does not heed `retry_after`, as guessers do not


class CodeGuesser(Visitor):
    """Types codes at random. Right are `code_unknown` and `slow_down`, and nothing else."""

    wait_time = constant_throughput(GUESSES_PER_S)
    _connection: http.client.HTTPConnection | None = None

    @task
    def guess(self) -> None:
        with self.visiting(), step(self.environment, "guess", HTTP):
            self._guess(self.practice.address(intruder=True))

    def _guess(self, address: Address) -> None:
        body = json.dumps({"code": f"{secrets.randbelow(10**9):09d}"})
        headers = {"Content-Type": "application/json", "Origin": address.origin}
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(urlsplit(address.origin).netloc)
                self._connection.sock = address.dial()
            self._connection.request("POST", "/api/v1/codes/redeem", body, headers)
            answer = self._connection.getresponse()
            document = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            self._hang_up()
            raise StepError("not_answered") from None
        if answer.will_close:
            self._hang_up()
        code = document.get("code") if answer.status != 200 else "code_guessed"
        if code not in ("code_unknown", "slow_down"):
            raise StepError(str(code))

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def on_stop(self) -> None:
        self._hang_up()


class Intruder(Visitor):
    """Bad tokens, floods, broken frames, one after another without a pause: each a request event of
    its own, failed when the server gave any other answer than the right one."""

    _turns = itertools.count()

    @task
    def intrude(self) -> None:
        names = list(attacks.ATTACKS)
        name = names[next(self._turns) % len(names)]
        address = self.practice.address(intruder=True)
        with self.visiting(), step(self.environment, f"intruder {name}"):
            attacks.run(name, self.practice, address)
