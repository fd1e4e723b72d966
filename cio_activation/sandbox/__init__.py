"""Stand-ins for Customer.io, HubSpot and Pipedrive over one synthetic world, for demos and tests.

Built from the vendors' documents only; imports nothing of the rest of the project, and is imported only by the
command line and by tests.
"""
