"""The services of the contract: translate, call, translate back."""
