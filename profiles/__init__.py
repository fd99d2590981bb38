"""What a history says of a shopper: interests, preferred values of attributes, one sentence."""
