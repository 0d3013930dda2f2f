"""A list is compared with the guests of its tenant: what differs becomes a job of the operation
`sync`. Begin reading at `plan.py`.
"""
