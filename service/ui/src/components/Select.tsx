/** One of a list that opens: short lists (`Select`), and long ones that are searched (`Search`). */
import { useMemo, useState } from 'react'
import {
  Button as AriaButton,
  Select as AriaSelect,
  ComboBox,
  Input,
  Label,
  ListBox,
  ListBoxItem,
  Popover,
  SelectValue,
  Text,
} from 'react-aria-components'
import { type FieldProps, fieldId, fieldStyles } from './Field'
import styles from './overlay.module.css'

export type Item = { id: string; name: string; detail?: string }

type ListProps = FieldProps & {
  items: readonly Item[]
  value: string | null
  onChange: (id: string) => void
  size?: 'medium' | 'full'
}

function Row({ item }: { item: Item }) {
  return (
    <ListBoxItem id={item.id} textValue={item.name} className={styles.item ?? ''}>
      <span>{item.name}</span>
      {item.detail && <span className={styles.detail}>{item.detail}</span>}
    </ListBoxItem>
  )
}

export function Select({ label, description, error, pointer, items, value, onChange, size = 'full' }: ListProps) {
  return (
    <div id={pointer && fieldId(pointer)}>
      <AriaSelect
        className={`${fieldStyles.field} ${size === 'medium' ? fieldStyles.medium : ''}`}
        value={value}
        onChange={(key) => key !== null && onChange(String(key))}
        isInvalid={Boolean(error)}
        placeholder="Choose …"
      >
        <Label className={fieldStyles.label ?? ''}>{label}</Label>
        {description && (
          <Text slot="description" className={fieldStyles.description ?? ''}>
            {description}
          </Text>
        )}
        <AriaButton className={`${fieldStyles.input} ${styles.trigger}`}>
          <SelectValue>{({ selectedText, defaultChildren }) => selectedText || defaultChildren}</SelectValue>
          <span className={styles.arrow} aria-hidden="true" />
        </AriaButton>
        {error && (
          <Text slot="errorMessage" className={fieldStyles.error ?? ''}>
            {error}
          </Text>
        )}
        <Popover className={`${styles.popover} ${styles.choices}`} offset={4}>
          <ListBox items={items} className={styles.list ?? ''}>
            {(item) => <Row item={item} />}
          </ListBox>
        </Popover>
      </AriaSelect>
    </div>
  )
}

type SearchProps = ListProps & {
  /** Told what is being looked for, where the list holds only a part of all there is. */
  onSearch?: (text: string) => void
  /** Said where nothing fits. */
  nothing?: string
}

const SHOWN = 100

export function Search({
  label,
  description,
  error,
  pointer,
  items,
  value,
  onChange,
  size = 'full',
  onSearch,
  nothing = 'Nothing by that name.',
}: SearchProps) {
  const chosen = items.find((item) => item.id === value)?.name ?? ''
  // Null while nobody types: then it shows what is chosen.
  const [typed, setTyped] = useState<string | null>(null)
  const found = useMemo(() => {
    const words = (typed ?? '').toLowerCase().replaceAll('_', ' ').split(/\s+/).filter(Boolean)
    const fits = (item: Item) => {
      const text = `${item.name} ${item.detail ?? ''}`.toLowerCase().replaceAll('_', ' ')
      return words.every((word) => text.includes(word))
    }
    const shown = items.filter(fits).slice(0, SHOWN)
    // What is chosen stays among them while nothing is typed, as the box shows its name.
    const chosen = typed === null && items.find((item) => item.id === value)
    return chosen && !shown.includes(chosen) ? [chosen, ...shown] : shown
  }, [items, typed, value])
  return (
    <div id={pointer && fieldId(pointer)}>
      <ComboBox
        className={`${fieldStyles.field} ${size === 'medium' ? fieldStyles.medium : ''}`}
        items={found}
        value={value}
        onChange={(key) => {
          setTyped(null)
          onSearch?.('')
          if (key !== null) onChange(String(key))
        }}
        inputValue={typed ?? chosen}
        onInputChange={(text) => {
          const changed = text === chosen ? null : text
          setTyped(changed)
          onSearch?.(changed ?? '')
        }}
        onOpenChange={(open) => {
          if (!open) setTyped(null)
        }}
        menuTrigger="focus"
        isInvalid={Boolean(error)}
        allowsEmptyCollection
      >
        <Label className={fieldStyles.label ?? ''}>{label}</Label>
        {description && (
          <Text slot="description" className={fieldStyles.description ?? ''}>
            {description}
          </Text>
        )}
        <div className={`${fieldStyles.input} ${styles.box}`}>
          <Input placeholder="Search …" onFocus={(event) => event.currentTarget.select()} />
          <AriaButton>
            <span className={styles.arrow} aria-hidden="true" />
          </AriaButton>
        </div>
        {error && (
          <Text slot="errorMessage" className={fieldStyles.error ?? ''}>
            {error}
          </Text>
        )}
        <Popover className={`${styles.popover} ${styles.choices}`} offset={4}>
          <ListBox<Item>
            className={styles.list ?? ''}
            renderEmptyState={() => <p className={styles.empty}>{nothing}</p>}
          >
            {(item) => <Row item={item} />}
          </ListBox>
        </Popover>
      </ComboBox>
    </div>
  )
}
