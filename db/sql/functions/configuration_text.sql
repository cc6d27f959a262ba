-- The text in one field of a configuration, or NULL where the field is absent; `choices` are its only values.
CREATE OR REPLACE FUNCTION configuration_text(config jsonb, field text, choices text[])
RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
  value jsonb := NULLIF(configuration_text.config -> configuration_text.field, 'null');
BEGIN
  IF value IS NULL THEN
    RETURN NULL;
  END IF;
  IF jsonb_typeof(value) <> 'string' OR NOT (value #>> '{}') = ANY (configuration_text.choices) THEN
    RAISE EXCEPTION '/%: must be one of "%", not %',
      configuration_text.field, array_to_string(configuration_text.choices, '", "'), left(value::text, 60)
      USING ERRCODE = '22023';
  END IF;
  RETURN value #>> '{}';
END;
$$;
