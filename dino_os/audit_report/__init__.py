"""
Reports for auditors: what the journals say of one run, order, cycle or time, in one signed file.

Owns which lines belong to it and the page for people; the file's format and its verification are
`engines.audit`'s.
"""

from dino_os.audit_report.collecting import About, Lines, events_of
from dino_os.audit_report.making import Graph, Report, make_report

__all__ = ["About", "Graph", "Lines", "Report", "events_of", "make_report"]
