"""What a bug report needs, and what is wrong: told of one installation, without a secret and without a person."""
