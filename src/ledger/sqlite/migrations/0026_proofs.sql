-- To which key an activation, or a login with all its tokens, is bound (RFC 9449): its thumbprint (RFC 7638). NULL: the token alone is enough.
ALTER TABLE activations ADD COLUMN jkt TEXT;
ALTER TABLE logins ADD COLUMN jkt TEXT;
