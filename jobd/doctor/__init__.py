"""``jobd doctor``: what is wrong with an installation, and how to mend it.

``examine`` asks one question after the other; each file holds those about one thing. A question that cannot be
asked is a finding too, so that silence always means health.
"""

from jobd.doctor.examine import examine
from jobd.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "examine"]
