"""cio_activation: Customer.io decides who is in which state, the CRM executes, and this carries the decision."""
