"""The stand-in for Customer.io: App API, exports, Track API, outgoing webhooks."""
