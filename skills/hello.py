"""The smallest skill: a greeting that says what day it is."""

from datetime import datetime
from typing import Literal

from dino_os import skill


@skill
def hello(name: str = "world", tone: Literal["plain", "warm"] = "plain") -> str:
    """
    Greet somebody and name the day.

    Args:
        name: Who is greeted.
        tone: How.
    """
    today = datetime.now().astimezone()
    greeting = f"Hello, {name}. It is {today:%A, %d %B %Y}."
    return f"{greeting} Good to have you here." if tone == "warm" else greeting
